"""How honest the forecasts of requests are."""
