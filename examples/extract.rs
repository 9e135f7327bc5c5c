//! A struct filled from a text: the fields that an order has, out of a mail. What a model says is held to the schema of
//! the type while it is generated, so that every answer that ends is one.
//!
//! `cargo run --release -p selvedge-examples --features llama,schemars --example extract -- model.gguf ["a mail"]`

use schemars::JsonSchema;
use selvedge::{Ask, Generate, Message, Options, open};
use serde::Deserialize;

/// Doc comments reach the model, as descriptions in the schema.
#[derive(Debug, Deserialize, JsonSchema)]
struct Order {
    /// Who orders.
    customer: String,
    items: Vec<Item>,
    shipping: Shipping,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    name: String,
    #[schemars(range(min = 1, max = 1000))]
    count: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Shipping {
    Standard,
    Express,
}

const MAIL: &str = "Hello, this is Ann Miller. Please send me 3 blue mugs and 1 teapot. I need them by Friday, so express \
    please. Thank you!";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (model, mail) = match &args[..] {
        [model] => (model, MAIL),
        [model, mail] => (model, &**mail),
        _ => return Err("usage: extract MODEL.gguf [TEXT]".into()),
    };
    let engine = open(model, Options::new())?;
    let schema = serde_json::to_string(&schemars::schema_for!(Order))?;
    let request = Generate::chat(vec![
        Message::system(format!("You read mails and write the order in them as JSON of this schema: {schema}")),
        Message::user(mail),
    ]);
    let order: Order = engine.generate_as(request.max_tokens(400))?;

    println!("{} orders, {:?} shipping:", order.customer, order.shipping);
    for Item { name, count } in order.items {
        println!("  {count:>4} × {name}");
    }
    Ok(())
}
