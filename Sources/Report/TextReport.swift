import Lab
