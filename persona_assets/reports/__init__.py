"""Pages and pictures for people: the e-mails, the segments, the choice of k."""
