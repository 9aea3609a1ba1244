"""Parts that two or more pages use; Streamlit code only."""
