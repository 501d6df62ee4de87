"""What explains what the log shows: the causes of the losses and the NAT timeout of each site."""
