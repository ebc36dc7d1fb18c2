-- The registry's own database; `tracehound` is made by the image.
CREATE DATABASE schema_registry;
