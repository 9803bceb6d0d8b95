"""Types that are no longer said. They stay here so that every journal ever written can be read."""
