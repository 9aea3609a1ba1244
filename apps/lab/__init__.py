"""What the pages of the lab compute: plain PyTorch, nothing of Streamlit."""
