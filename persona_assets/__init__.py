"""Persona Assets: from a shop's orders to one marketing e-mail per customer, as a Dagster graph."""
