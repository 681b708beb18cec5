"""Writing the e-mails: briefs in, drafts out, and messages assembled from accepted drafts."""
