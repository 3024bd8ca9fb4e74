"""What pages for browsers need: their templates, static files, forms and security headers."""
