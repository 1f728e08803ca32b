"""From link reports to a position and to the next sensing configuration."""
