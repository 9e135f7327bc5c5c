mod privacy;
mod retry;
