//! Tabular columns.

use super::numbers::{Numbers, input, output};
use super::{Probe, ProbeFeature, ProbedTensor, Rows};
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
    tensor: ProbedTensor,
    features: Vec<ProbeFeature>,
}

impl Columns {
    /// The columns of an input.
    pub fn of<N: Into<String>>(input: impl Into<String>, columns: impl IntoIterator<Item = N>) -> Self {
        Self::of_tensor(ProbedTensor::Input(input.into()), columns)
    }

    /// The columns of an output: a regression's result.
    pub fn of_output<N: Into<String>>(output: impl Into<String>, columns: impl IntoIterator<Item = N>) -> Self {
        Self::of_tensor(ProbedTensor::Output(output.into()), columns)
    }

    fn of_tensor<N: Into<String>>(tensor: ProbedTensor, columns: impl IntoIterator<Item = N>) -> Self {
        let feature = |name| ProbeFeature { tensor: Some(tensor.clone()), ..ProbeFeature::number(name) };
        let features = columns.into_iter().map(feature).collect();
        Self { tensor, features }
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
        if let ProbedTensor::Input(name) = &self.tensor
            && let Some(tensor) = input(request, name)
        {
            self.observe(tensor, rows);
        }
    }

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        if let ProbedTensor::Output(name) = &self.tensor
            && let Some(tensor) = output(answer, name)
        {
            self.observe(tensor, rows);
        }
    }
}
