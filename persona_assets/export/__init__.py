"""Export: the e-mails as files for mail servers and mail platforms, one set per language."""
