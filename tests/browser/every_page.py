"""The address of every page, and the part by which one sees that it has answered."""

PAGES = {
    "/": "[class*=st-key-tile-] .answer",
    "/image": ".answer .word",
    "/text": ".answer .word",
    "/medical": ".viewer[data-ready]",
    "/captions": ".caption-explorer[data-ready]",
    "/audio": ".answer .word",
    "/audio?weights=fsdd-wave&part=First+filters": ".plotted",
    "/detection": ".bars",
    "/lab": "[data-testid=stPageLink]",
    "/lab_convolution": ".convolution-stepper canvas",
    "/lab_sharing": ".answer .word",
    "/lab_overfitting": ".results",
    "/lab_transfer": ".results",
    "/lab_drive": ".drive-replay[data-ready]",
    "/models": "[data-model]",
    "/train": "[data-testid=stBaseButton-primary]",
}
