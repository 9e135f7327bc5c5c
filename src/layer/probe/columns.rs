//! Tabular columns.

use super::numbers::{Numbers, input, output};
use super::{Probe, ProbeFeature, Rows};
use crate::Tensor;
use crate::engine::{Answer, Request};

/// The columns of a tensor of shape `[rows, columns]`, or `[columns]` for one row: one row each.
///
/// Any numeric dtype; the elements of a string tensor are categories (see [`category_code`](super::category_code)). A
/// tensor with another number of columns is not observed. For a model with one input per column, put one of these per
/// input into [`All`](super::All).
///
/// ```
/// use selvedge::layer::probe::{Columns, Probe};
/// let weather = Columns::of("weather", ["precipitation", "temp_max", "temp_min", "wind"]);
/// assert_eq!(weather.features()[3].name, "wind");
/// ```
#[derive(Clone, Debug)]
pub struct Columns {
    tensor: String,
    features: Vec<ProbeFeature>,
    of_answer: bool,
}

impl Columns {
    /// The columns of an input.
    pub fn of<N: Into<String>>(input: impl Into<String>, columns: impl IntoIterator<Item = N>) -> Self {
        let features = columns.into_iter().map(ProbeFeature::number).collect();
        Self { tensor: input.into(), features, of_answer: false }
    }

    /// The columns of an output: a regression's result.
    pub fn of_output<N: Into<String>>(output: impl Into<String>, columns: impl IntoIterator<Item = N>) -> Self {
        Self { of_answer: true, ..Self::of(output, columns) }
    }

    /// Makes this column one of categories. A name that is no column is ignored.
    #[must_use]
    pub fn category(mut self, column: &str) -> Self {
        self.features.iter_mut().filter(|f| f.name == column).for_each(|f| f.category = true);
        self
    }

    fn observe(&self, tensor: &Tensor, rows: &mut Rows<'_>) {
        let columns = self.features.len();
        let shape = tensor.shape();
        // A column of its own may have no second dimension.
        let fits = shape.last() == Some(&columns) || columns == 1 && shape.rank() <= 1;
        let Some(numbers) = Numbers::of(tensor).filter(|_| fits && columns > 0) else { return };
        for row in 0..shape.elements() / columns {
            let Some(values) = rows.row(row) else { return };
            values.iter_mut().enumerate().for_each(|(i, value)| *value = numbers.get(row * columns + i));
        }
    }
}

impl Probe for Columns {
    fn features(&self) -> Vec<ProbeFeature> {
        self.features.clone()
    }

    fn request(&self, request: &Request, rows: &mut Rows<'_>) {
        if let Some(tensor) = input(request, &self.tensor).filter(|_| !self.of_answer) {
            self.observe(tensor, rows);
        }
    }

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        if let Some(tensor) = output(answer, &self.tensor).filter(|_| self.of_answer) {
            self.observe(tensor, rows);
        }
    }
}
