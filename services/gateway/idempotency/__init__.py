"""Creating calls that may be repeated safely."""
