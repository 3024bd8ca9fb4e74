"""The pages that tell the story of work: requests, one request, dead letters, days, the audit."""
