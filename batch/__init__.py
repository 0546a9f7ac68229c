"""The periodic job: features to principal components and reduced vectors."""
