"""Matrix products and what lies between them, laid out for this CPU; every form is probed before it is used."""
