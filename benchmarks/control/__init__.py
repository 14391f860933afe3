"""How far the conditions of scdiffusion can be trusted: studies on real cells that were left out of the fit."""
