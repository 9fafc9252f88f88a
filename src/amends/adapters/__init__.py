"""One folder, one technology: each adapter fills a port and knows nothing of the others."""
