//! Short ways to ask an engine, and the events of a run, on top of the contract.

#[cfg(feature = "async")]
use super::StepStream;
#[cfg(feature = "schemars")]
use super::typed;
use super::{Answer, Call, Embed, Engine, Event, Generate, Message, Progress, Request, Run, Step};
use crate::{Error, Result, Tensor};

/// The short ways to ask an [`Engine`]; every engine has them.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::{Ask, Generate};
/// let engine = Fake::text("so it goes").build();
/// let mut text = String::new();
/// for event in engine.generate(Generate::text("and then"))? {
///     let selvedge::Event::Text(piece) = event? else { continue };
///     text += &piece.text;
/// }
/// assert_eq!(text, "so it goes");
/// # Ok::<(), selvedge::Error>(())
/// ```
pub trait Ask: Engine {
    /// Runs a request to its end.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Run::step`].
    fn run(&self, request: impl Into<Request>) -> Result<Answer> {
        self.run_with(request, Call::new())
    }

    /// Runs a request to its end, on the terms of `call`.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Run::step`]; `Cancelled` or `DeadlineExceeded` on the terms of `call`.
    fn run_with(&self, request: impl Into<Request>, call: Call) -> Result<Answer> {
        Events::new(self.start(request.into(), call)?).answer()
    }

    /// Generates text; yields pieces as they come.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`]; the iterator yields those of [`Run::step`].
    fn generate(&self, request: Generate) -> Result<Events> {
        self.events(request, Call::new())
    }

    /// Answers a conversation with the model's own chat template and the defaults of [`Generate`].
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`], `Unsupported` without a chat template among them; the iterator yields those of [`Run::step`].
    fn chat(&self, messages: impl IntoIterator<Item = Message>) -> Result<Events> {
        self.generate(Generate::chat(messages))
    }

    /// Generates JSON that becomes a value of a type: the text is held to the schema of the type, which lists its names in their
    /// order and no others. The type's documentation comments are no part of the prompt: say in it what is wanted.
    ///
    /// ```no_run
    /// use selvedge::{Ask, Generate, Options, open};
    /// #[derive(schemars::JsonSchema, serde::Deserialize)]
    /// struct Person {
    ///     name: String,
    ///     age: Option<u8>,
    /// }
    /// let engine = open("model.gguf", Options::new())?;
    /// let person: Person = engine.generate_as(Generate::text("Ann is 31 years old. As JSON: "))?;
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Run::step`]; `InvalidArgument` for a request with a grammar of its own, for a schema that no
    /// answer can be held to, and for an answer that [`Generate::max_tokens`] or a stop text cut; `ContextFull` for one that the
    /// context cut; `InvalidArgument` if the type refuses what its schema allows.
    #[cfg(feature = "schemars")]
    fn generate_as<T: schemars::JsonSchema + serde::de::DeserializeOwned>(&self, request: Generate) -> Result<T> {
        typed::read(&self.run(typed::asked::<T>(request)?)?)
    }

    /// One normalised vector per text: f32 `[texts, dimensions]`.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Run::step`]; `Unsupported` if the engine does not embed; `NotFound` if its answer has no
    /// output of the name [`Embed::OUTPUT`].
    fn embed<T: Into<String>>(&self, texts: impl IntoIterator<Item = T>) -> Result<Tensor> {
        let answer = self.run(Embed::new(texts))?;
        answer.output(Embed::OUTPUT).cloned()
    }

    /// The events of any request, on the terms of `call`.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`]; the iterator yields those of [`Run::step`].
    fn events(&self, request: impl Into<Request>, call: Call) -> Result<Events> {
        Ok(Events::new(self.start(request.into(), call)?))
    }

    /// The steps of any request as a stream, for async code. Works under any executor: the run is
    /// stepped on a thread of its own, and dropping the stream cancels it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`]; `Backend` if no thread starts; the stream yields those of [`Run::step`], and `Panic` if a step
    /// panics.
    #[cfg(feature = "async")]
    fn stream(&self, request: impl Into<Request>, call: Call) -> Result<StepStream> {
        let (call, cancel) = StepStream::terms(call);
        StepStream::spawn(self.start(request.into(), call)?, cancel)
    }
}

impl<E: Engine + ?Sized> Ask for E {}

/// The events of a run, as an iterator. Ends after the answer or the first error.
pub struct Events {
    run: Option<Box<dyn Run>>,
    answer: Option<Answer>,
    progress: Option<Progress>,
}

impl Events {
    /// Steps `run` as the iterator is pulled.
    pub fn new(run: Box<dyn Run>) -> Self {
        Self { run: Some(run), answer: None, progress: None }
    }

    /// The progress of the run in its present phase, as last reported.
    pub fn progress(&self) -> Option<Progress> {
        self.progress
    }

    /// Runs to the end, past the events not yet pulled, and gives the whole answer.
    ///
    /// # Errors
    ///
    /// The run's own; `InvalidArgument` if it failed before, while it was iterated.
    pub fn answer(mut self) -> Result<Answer> {
        for event in self.by_ref() {
            event?;
        }
        self.answer.ok_or_else(|| Error::invalid("the run has failed before and has no answer"))
    }
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        while let Some(run) = &mut self.run {
            match run.step() {
                Ok(Step::Working(progress)) => self.progress = Some(progress),
                Ok(Step::Event(event)) => return Some(Ok(event)),
                Ok(Step::Done(answer)) => {
                    self.answer = Some(answer);
                    self.run = None;
                }
                Err(error) => {
                    self.run = None;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl std::iter::FusedIterator for Events {}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("running", &self.run.is_some()).field("progress", &self.progress).finish()
    }
}
