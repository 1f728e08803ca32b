"""What a site's radios need on this host: what is there, what is missing, and how to get it."""
