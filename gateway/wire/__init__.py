"""HTTP hygiene: the one reading of targets, headers and bodies. Pure; knows no route and no customer."""
