"""Services of others, as near to the real ones as can be had on this machine. One file for each."""
