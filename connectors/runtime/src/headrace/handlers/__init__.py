"""The user's code behind one signature; one file for each way to reach it."""
