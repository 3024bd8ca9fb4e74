"""The actions of operators, and the answers to their questions. Console and command share them."""
