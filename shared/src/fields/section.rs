//! The macro that makes a section of the wire out of a table of rows.

macro_rules! value_type {
    (Text) => {
        Word
    };
    (Table) => {
        Vec<[i64; 6]>
    };
    ($other:ident) => {
        i64
    };
}

macro_rules! visit_value {
    (Table, $self:ident, $field:ident, $row:expr, $name:expr, $see:ident) => {
        // Evidence: neither a series nor a state.
        let _ = ($row, $name);
    };
    (Text, $self:ident, $field:ident, $row:expr, $name:expr, $see:ident) => {
        if let Some(word) = &$self.$field {
            $see($row, $name, Value::Text(word.as_str()));
        }
    };
    ($other:ident, $self:ident, $field:ident, $row:expr, $name:expr, $see:ident) => {
        if let Some(number) = $self.$field {
            $see($row, $name, Value::Number(number));
        }
    };
}

macro_rules! section {
    (
        $(#[doc = $doc:literal])* $type:ident $section:literal $scope:ident $({ $label:ident $class:literal })?
        $( $id:literal $field:ident $kind:ident $unit:literal $metric:literal $lname:literal $lvalue:literal $scale:literal $en:literal $ja:literal; )*
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $type {
            $( #[doc = concat!("Which one, bounded by the string class ", $class, ".")] pub $label: Word, )?
            $(
                #[doc = concat!($en, " Unit: ", $unit, ".")]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<value_type!($kind)>,
            )*
        }

        impl $type {
            const NAME_CLASS: &'static str = concat!("" $(, $class)?);

            /// The rows of this section.
            pub const FIELDS: &'static [Field] = &[ $( Field {
                id: $id, section: $section, name: stringify!($field), unit: $unit, kind: Kind::$kind,
                name_class: Self::NAME_CLASS, scope: Scope::$scope, metric: $metric,
                label: ($lname, $lvalue), scale: $scale, meaning: $en, meaning_ja: $ja,
            }, )* ];

            pub(super) fn keep(&mut self, allowed: &dyn Fn(&Field) -> bool) {
                let mut rows = Self::FIELDS.iter();
                $( if !rows.next().is_some_and(allowed) { self.$field = None; } )*
            }

            /// True when no value is left.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                true $( && self.$field.is_none() )*
            }

            #[allow(unused_assignments, unused_mut, reason = "the last row of the macro advances the iterator too")]
            pub(super) fn visit<'a>(&'a self, see: &mut dyn FnMut(&'static Field, Option<&'a str>, Value<'a>)) {
                let mut name = None;
                $( name = Some(self.$label.as_str()); )?
                let mut rows = Self::FIELDS.iter();
                $( if let Some(row) = rows.next() { visit_value!($kind, self, $field, row, name, see); } )*
            }
        }
    };
}
