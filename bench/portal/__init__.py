"""How long the start page of the portal takes."""
