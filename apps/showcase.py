"""Entry of the pages: `streamlit run apps/showcase.py`. Navigation only."""

from pathlib import Path

import streamlit as st

from components.address import run_begins, run_ends
from components.lab import IDEAS
from components.networks import warm_up
from components.owner import keep_owner

ASSETS = Path(__file__).parent / "assets"
# A picture of our own: Streamlit fetches its named icons from another host, and the pages work offline.
st.set_page_config(page_title="CNN Showcase", page_icon=str(ASSETS / "icon.png"), layout="wide")

# Sections are what people want; a page is one line. The folder is not called `pages`: Streamlit takes files of a
# folder of that name for pages of their own, and runs them without this entry when one is the first thing opened.
PAGES = {
    "": [st.Page("views/home.py", title="Home", default=True)],
    "Try": [
        st.Page("views/image.py", title="Image", url_path="image"),
        st.Page("views/text.py", title="Text", url_path="text"),
        st.Page("views/medical.py", title="Medical", url_path="medical"),
        st.Page("views/caption.py", title="Captions", url_path="captions"),
        st.Page("views/audio.py", title="Audio", url_path="audio"),
        st.Page("views/detect.py", title="Detection", url_path="detection"),
    ],
    "Learn": [
        st.Page("views/lab.py", title="All ideas"),
        *(st.Page(idea.page, title=idea.title) for idea in IDEAS),
    ],
    "Build": [
        st.Page("views/train.py", title="Train", url_path="train"),
        st.Page("views/models.py", title="Models", url_path="models"),
    ],
}

run_begins()
keep_owner()
st.logo(ASSETS / "mark.svg", size="large")
st.navigation(PAGES, position="top").run()
warm_up()
run_ends()
