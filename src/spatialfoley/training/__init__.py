"""Training: a recipe, a task, one loop; training maths lives beside each model in its `objective`."""
