"""The shared core of CNN Showcase: convolutional networks over 1, 2 and 3 spatial dimensions.

Importing the package is cheap; torch is loaded by the subpackage that needs it.

Glossary of the shape letters used in every docstring: B batch, C channels, D H W depth height width, L length,
T steps, K classes, V vocabulary. Tensors are channels first; `*S` stands for the spatial axes (L | H, W | D, H, W).
"""

__version__ = "0.1.0"
