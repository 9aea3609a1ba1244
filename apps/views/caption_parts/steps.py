"""How a sentence came about, in the words of the fold at the end of the page; made from the network's decoder."""

WRITTEN = {
    "show-attend-tell": "A recurrent network wrote the sentence: at every step it weighed the cells of the grid "
    "(attention), read the previous word, and gave every word of its vocabulary a probability.",
    "show-tell": "A recurrent network was given the mean of the grid before the first word and wrote the sentence: at "
    "every step it read the previous word, and gave every word of its vocabulary a probability.",
}
EVIDENCE = "*Grad-CAM* shows which features would raise the word's score."
LOOKED = {"show-attend-tell": f"*Attention* shows the weights of step 2. {EVIDENCE}", "show-tell": EVIDENCE}


def caption_steps(decoder: str) -> str:
    """Return the steps from a picture to its sentence in Markdown, for one of the library's decoders."""
    return f"""\
1. The picture was resized for the encoder; a convolutional network turned it into a grid of features.
2. {WRITTEN[decoder]}
3. Beam search kept the most probable beginnings; the probabilities of their words were multiplied up to the end.
   Sampling draws each word by its probability instead; a low temperature favours the probable ones.
4. {LOOKED[decoder]}

The same on the command line:"""
