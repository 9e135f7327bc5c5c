mod clock;
mod ledger;
mod made;
mod privacy;
mod request;
mod retry;
mod state;
