mod asking;
mod checks;
mod thresholds;
