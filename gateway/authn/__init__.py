"""Who asks: keys, and the tokens signed with them. It knows no routes and no records."""
