"""The benchmark of fairness: how long one partner waits while another floods the queue."""
