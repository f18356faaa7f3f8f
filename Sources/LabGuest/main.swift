print("lab-guest")
