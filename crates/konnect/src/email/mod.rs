//! The e-mails of a portal: domains, delivery, configuration and templates.
