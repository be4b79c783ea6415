//! How a portal looks and where it is: customization, custom domains and integrations.
