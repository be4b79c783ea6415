//! What a portal offers: APIs, their publications, and how applications authenticate.
