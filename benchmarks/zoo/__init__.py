"""The zoo: networks of public libraries through every road into the house, compared with independent counts."""
