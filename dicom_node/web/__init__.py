"""The web port: health, metrics and the API now; the review pages will move in here."""
