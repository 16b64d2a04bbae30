"""Content Security Policies in a repository: each format is read into texts, with what is not known marked in them."""
