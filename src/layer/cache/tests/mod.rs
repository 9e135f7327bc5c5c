mod canonical;
mod serving;
