"""Parts of the lab's pages: what each shows, apart from where it stands on the page."""
