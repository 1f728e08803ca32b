"""The paper's numerical results: what is run, what was published, and a page that compares them."""
