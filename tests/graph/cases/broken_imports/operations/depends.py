from operations.failing import RATE
