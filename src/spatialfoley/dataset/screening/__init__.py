"""What tells usable recordings from others: arrays in, numbers and a verdict out, each limit with its source."""
