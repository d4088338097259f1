//! Each way to forge a token, and what becomes of it.
